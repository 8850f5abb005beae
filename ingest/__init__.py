"""Cameras and files to frames on Kafka."""
