"""Faust stages: frames to detections, detections to tracks and events, all of it to the stores."""
