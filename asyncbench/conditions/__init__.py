"""What the machine is and how it is doing: host facts and this process's own cost."""
