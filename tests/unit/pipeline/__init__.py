"""An account at work, in a world without threads, sockets or waiting."""
