"""From published weights to SavedModels. Runs in a process of its own: it loads TensorFlow."""
