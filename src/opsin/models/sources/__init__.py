"""Where networks come from: the zoo, timm, torchvision, a person's own code."""
