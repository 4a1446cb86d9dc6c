"""What a program's text says about itself: its definitions, its names, what a part of it needs."""
