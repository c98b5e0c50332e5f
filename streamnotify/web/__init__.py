"""What people reach with a browser. It decides nothing and keeps nothing: it reads topics and writes commands."""
