"""Infrastructure: manifests, images, the one-machine runner and the command line."""
