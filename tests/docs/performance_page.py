"""The page that scripts/measure.py writes says what was measured, against what, and whether it is enough."""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import measure_page  # noqa: E402  (found through the line above)

MACHINE = {"cpu": "a processor", "cores": 2, "kernel": "6.1", "compiler": "GCC 12", "load_average": 0.1}


def kept(*runs, quick=False):
    return {"command": "ferry bench ...", "date": "2026-01-01 00:00 UTC", "quick": quick,
            "result": [{"machine": MACHINE, **run} for run in runs]}


def rtt(p50, ratio):
    return {"rtt_ns": {"p50": p50, "p99": 2 * p50}, "limit_rtt_ns": {"p50": p50 / ratio}, "ratio": ratio}


class Page(unittest.TestCase):
    def row(self, data, start):
        return next(line for line in measure_page.page(data).splitlines() if line.startswith(start))

    def test_says_that_nothing_was_measured(self):
        self.assertIn("Nothing has been measured yet", measure_page.page({}))
        self.assertNotIn("![", measure_page.page({}))

    def test_takes_the_median_of_the_runs_and_shows_their_spread(self):
        data = {"rtt-ipc-sleep-free": kept(rtt(9000, 1.0), rtt(30000, 1.2), rtt(10000, 1.1))}
        self.assertEqual(self.row(data, "| ipc, sleeping |"),
                         "| ipc, sleeping | 10 µs | 9 µs .. 30 µs | 20 µs | 9.09 µs | 1.100 | ≤ 1.25 | yes |")

    def test_says_where_the_target_is_missed(self):
        data = {"rtt-tcp-spin-pinned": kept(rtt(9000, 1.21))}
        self.assertTrue(self.row(data, "| tcp, spinning, 2 cores |").endswith("| 1.210 | ≤ 1.2 | **no** |"))
        one = {"messages_per_second": 1e6, "bytes_per_second": 64e6, "ratio": 0.39, "limit_messages_per_second": 2.5e6,
               "syscalls_per_message": 0.01, "allocations_per_message": 0}
        self.assertIn("| 0.390 | ≥ 0.4 | **no** |", self.row({"oneway-ipc-64": kept(one)}, "| 64 B |"))

    def test_puts_the_round_trips_into_the_table_of_the_readme(self):
        text = "| `ipc:///PATH`, `ipc://@NAME` | this host | a | b | 1 s | services |\nRound trip: old.\n"
        data = {"rtt-ipc-sleep-free": kept(rtt(9000, 1)), "rtt-ipc-spin-pinned": kept(rtt(3000, 1))}
        self.assertIn("| this host | a | b | 9 µs / 3 µs | services |", measure_page.readme(text, data))
        self.assertNotIn("old", measure_page.readme(text, data))

    def test_warns_of_quick_figures(self):
        self.assertIn("Provisional", measure_page.page({"rtt-inproc": kept(rtt(1, 1), quick=True)}))
        self.assertNotIn("Provisional", measure_page.page({"rtt-inproc": kept(rtt(1, 1))}))


if __name__ == "__main__":
    unittest.main()
