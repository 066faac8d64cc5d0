"""Outside verifiers: programs that know nothing of ours and yet come to the same answers."""
