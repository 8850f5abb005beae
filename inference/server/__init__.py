"""A model server for one machine: SavedModels behind TensorFlow Serving's gRPC services."""
