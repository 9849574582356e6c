"""What a back office's stalls and outage cost a client, and how fast its changes are caught up with."""
