"""Facts about this machine, without judgement: `daflow doctor`, the profiler and the benchmarks read them here.

`board` reaches the machine's files and commands, `facts` reads everything from them, `environment` puts the facts of a
measurement together, and `power` reads power meters.
"""
