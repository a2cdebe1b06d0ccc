"""What is deployed, as one machine reads it: the manifests' documents, and what they say about a run."""
