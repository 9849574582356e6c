"""What a change is and which rules it follows: pure, without AWS, HTTP, environment or clock."""
