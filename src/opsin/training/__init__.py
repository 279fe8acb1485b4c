"""How a network learns: the Recipe, the loop, the recorder and the Run it leaves behind."""
