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

    def test_shows_shared_memory_beside_its_limits_and_what_is_wanted(self):
        figures = {"round_trip": {"what": "ring, round trip of 64 B", "value": 120.0, "against": "cache line",
                                  "against_value": 96.0, "ratio": 1.25, "ratio_min": 1.1, "ratio_max": 1.4, "rounds": 15,
                                  "at_most": 1.2, "reached": False},
                   "idle_poll": {"what": "waiting", "value": 0.0005, "at_most": 0.001, "reached": True}}
        data = {"ring": kept({"figures": figures})}
        data["ring"]["result"] = data["ring"]["result"][0]
        self.assertEqual(self.row(data, "| ring, round trip of 64 B |"),
                         "| ring, round trip of 64 B | 120 ns | cache line | 96 ns | 1.250 (1.10 .. 1.40) | ≤ 1.2 | **no** |")
        self.assertEqual(self.row(data, "| waiting |"), "| waiting | 0.05 % |  |  |  | ≤ 0.1 % | yes |")

    def test_shows_the_codec_beside_memcpy_and_what_is_wanted(self):
        figures = {"copy/16384": {"bytes_per_second": [90e9, 100e9, 110e9]},
                   "unmask/16384/0": {"bytes_per_second": [49e9, 50e9, 60e9]},
                   "utf8/mixed/16384": {"bytes_per_second": [0.9e9]}, "decode/20": {"items_per_second": [20e6, 30e6]}}
        data = {"codec": kept()}
        data["codec"]["result"] = {"machine": MACHINE, "figures": figures}
        self.assertEqual(self.row(data, "| unmasking, the same |"),
                         "| unmasking, the same | 50 GB/s | 49 GB/s .. 60 GB/s | 0.500 | ≥ 25 GB/s | yes |")
        self.assertTrue(self.row(data, "| UTF-8 checked, mixed |").endswith("| 0.009 | ≥ 1 GB/s | **no** |"))
        self.assertTrue(self.row(data, "| masked messages of 20 B").endswith("| 25 M/s | 20 M/s .. 30 M/s |  |  |  |"))

    def test_shows_sessions_beside_what_they_are_held_against(self):
        figures = {"commit": {"what": "a transaction", "value": 3e6, "against": "fdatasync alone", "against_value": 1.5e6,
                              "ratio": 2.0, "ratio_min": 1.9, "ratio_max": 2.5, "rounds": 15}}
        data = {"session": kept({"figures": figures}),
                "rtt-tcp-persistent-spin-pinned": kept(rtt(8000, 1.2), rtt(7000, 1.1), rtt(7500, 1.14))}
        data["session"]["result"] = data["session"]["result"][0]
        self.assertEqual(self.row(data, "| a transaction |"),
                         "| a transaction | 3 ms | fdatasync alone | 1.5 ms | 2.000 (1.90 .. 2.50) |  |  |")
        self.assertTrue(self.row(data, "| tcp, round trip of 64 B, spinning").endswith(
            "| 1.140 (1.10 .. 1.20) | ≤ 1.15 | yes |"))
        one = {"messages_per_second": 1e6, "bytes_per_second": 64e6, "ratio": 0.19, "limit_messages_per_second": 5e6,
               "syscalls_per_message": 0.01, "allocations_per_message": 0}
        self.assertIn("| 0.190 (0.19 .. 0.19) | ≥ 0.2 | **no** |",
                      self.row({"oneway-tcp-persistent-64-pinned": kept(one)}, "| tcp, one way"))

    def test_says_what_is_left_of_system_calls_while_both_sides_are_awake(self):
        data = {"rtt-shm-spin-pinned": kept({**rtt(200, 1), "syscalls_per_message": 0.5, "allocations_per_message": 0})}
        self.assertTrue(self.row(data, "| channel, round trips: system calls").endswith("| ≤ 0.001 | **no** |"))
        self.assertTrue(self.row(data, "| channel, round trips: allocations").endswith("| 0 |  |  |  | ≤ 0.00001 | yes |"))
        data = {"rtt-shm-spin-pinned": kept({**rtt(200, 1), "syscalls_per_message": 0, "allocations_per_message": 0.0001})}
        self.assertTrue(self.row(data, "| channel, round trips: allocations").endswith("| ≤ 0.00001 | **no** |"))

    def test_holds_channels_among_idle_ones_against_the_same_number_alone(self):
        def crowd(count, p50):
            return kept({"connections": count, "first_connections": count // 9, "rss_per_connection": 25000,
                         "pss_per_connection": 17000, "descriptors_per_connection": 1, "rtt_ns": {"p50": p50, "p99": 3 * p50}})
        data = {"connections-shm-90-of-90": crowd(90, 100e3), "connections-shm-90-of-9000": crowd(9000, 110e3)}
        self.assertIn("| 9 000 | 90 | 110 µs | 330 µs | 1.100 | ≤ 1.2 | yes | 25 000 B | 17 000 B | 1 |", measure_page.page(data))
        data["connections-shm-90-of-9000"] = crowd(9000, 130e3)
        self.assertIn("| 1.300 | ≤ 1.2 | **no** |", measure_page.page(data))

    def test_shows_the_producers_of_one_consumer(self):
        data = {f"producers-shm-2-{kind}": kept({"messages_per_second": rate})
                for kind, rate in (("processes", 2e7), ("threads", 1e7))}
        self.assertEqual(self.row(data, "| 2 |"), "| 2 | 20 M/s | one run | 10 M/s | one run |")

    def test_holds_a_gateway_against_the_bare_relay_and_against_the_original(self):
        one = {"cpu_ns_per_echo": 26000, "limit_cpu_ns_per_echo": 20000, "ratio": 1.3, "echoes_per_second": 16200,
               "p50_ns": 59500, "p99_ns": 86300}
        self.assertEqual(self.row({"gateway-tcp-1x1x1-64": kept(one)}, "| TCP | 1x1x1 |"),
                         "| TCP | 1x1x1 | 64 B | 26 µs | 20 µs | 1.30 | ≤ 1.3 | yes | 16.2 k/s | 59.5 µs | 86.3 µs |")
        self.assertIn("| 1 KiB | 26 µs | 20 µs | 1.30 |  |  |",
                      self.row({"gateway-token-100x1x4-1024": kept(one)}, "| resumable, token over TLS | 100x1x4 |"))
        paced = {"echoes_per_second": 137900, "p50_ns": 1e6, "p99_ns": 7e6}
        self.assertEqual(self.row({"gateway-paced-10x4x16": kept(paced)}, "| 10x4x16 |"),
                         "| 10x4x16 | 138 k/s | 138 k/s | 1 ms | 7 ms |  |  | ≤ 6 ms | **no** |")
        self.assertIn("| 1x1x1 | one by one | 16.2 k/s | 59.5 µs | 86.3 µs |  |  | ≤ 62.5 µs | **no** |",
                      measure_page.page({"gateway-tcp-1x1x1-64": kept(one)}))
        beside = {**one, "p99_ns": 62000, "limit_p50_ns": 110e3, "limit_p99_ns": 170e3}
        self.assertIn("| 62 µs | 110 µs | 170 µs | ≤ 62.5 µs | yes |",
                      measure_page.page({"gateway-tcp-1x1x1-64": kept(beside)}))
        data = {"gateway-dials": kept({"dials_per_second": 394000, "cpu_ns_per_dial": 710}),
                "gateway-idle": kept({"rss_bytes_per_client": 2800})}
        self.assertIn("| 394 k/s | 710 ns of the gateway's CPU each | ≥ 100 k/s | yes |", measure_page.page(data))
        self.assertIn("| 2 800 B | of the gateway's memory | ≤ 4096 B | yes |", measure_page.page(data))

    def test_warns_of_quick_figures(self):
        self.assertIn("Provisional", measure_page.page({"rtt-inproc": kept(rtt(1, 1), quick=True)}))
        self.assertNotIn("Provisional", measure_page.page({"rtt-inproc": kept(rtt(1, 1))}))


if __name__ == "__main__":
    unittest.main()
