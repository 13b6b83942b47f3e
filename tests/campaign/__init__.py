"""A campaign against the package: mutated files, kills, faults of servers, and ways round the guard, by chance.

    python -m tests.campaign --seed 0 --minutes 60
    python -m tests.campaign --seed 0 --only clips --case 17

What it is, and what it found, is told by ``docs/explanation/campaign.md``.
"""
