"""What Plumbline's parts agree on; the only package that every part imports."""
