"""The rules, pure: stdlib only, no await, no clock, no logging."""
