"""streamnotify: a Kafka stream of task-lifecycle events in, the right e-mail to the right person out."""

__version__ = "0.1.0"
