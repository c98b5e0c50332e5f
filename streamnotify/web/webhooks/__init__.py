"""What mail providers call when a mail bounced or somebody complained: a folder's module per provider.

A request is checked to be the provider's before anything of it is believed, becomes delivery events, and is answered
200 only once Kafka has them.
"""
