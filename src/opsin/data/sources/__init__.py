"""Where labelled images come from: folders, manifests, arrays, IDX files, torchvision's sets, packages."""
