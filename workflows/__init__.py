"""What happens next: awaits activities, timers and messages, asks ``domain``, touches nothing else of the world."""
