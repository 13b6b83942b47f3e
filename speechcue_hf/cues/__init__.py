"""Speech cues: a clip becomes measurements, and measurements become words."""
