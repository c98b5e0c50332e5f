"""What became of a notification or a run, told from the records on the public topics, in words for a person."""
