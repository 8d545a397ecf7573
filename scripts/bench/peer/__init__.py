"""What Holdfast is compared with: the same job, done with nothing but the part itself.

`servers` names them and starts them; the other rooms are their programs, each a process.
"""
