"""What requests and answers hold, a file for each surface."""
