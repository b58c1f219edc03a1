"""Where people talk to agents: each channel turns what it receives into a ChannelMessage, and brings the reply back."""
