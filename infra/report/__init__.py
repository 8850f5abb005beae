"""What is made of a task's result: tables, an annotated video, a page to look at, tracking metrics."""
