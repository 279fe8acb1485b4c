"""Networks: the zoo, the Classifier, building and loading."""
