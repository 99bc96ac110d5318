#!/usr/bin/env python3
"""Tests of plot.py; run by ctest, or: python3 -m unittest scripts/plot_test.py"""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import plot  # noqa: E402  (found through the line above)

LIMITS = {"unix": {"raw": [
    {"size": 64, "buffer": 4096, "bytes_per_second": 1e9, "bytes_per_second_min": 0.5e9, "bytes_per_second_max": 2e9},
    {"size": 1024, "buffer": 4096, "bytes_per_second": 8e9},
    {"size": 64, "buffer": 8192, "bytes_per_second": 2e9},
    {"size": 1024, "buffer": 8192, "bytes_per_second": 9e9},
]}}


class Plot(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def draw(self, *arguments):
        """The tree of the chart; every chart must be well-formed."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(plot.main(list(arguments)), 0)
        return xml.fromstring(out.getvalue())

    def refused(self, *arguments):
        complaint = io.StringIO()
        with contextlib.redirect_stderr(complaint):
            self.assertEqual(plot.main(list(arguments)), 1)
        return complaint.getvalue()

    @staticmethod
    def count(tree, tag, kind=None):
        found = tree.iter("{http://www.w3.org/2000/svg}" + tag)
        return sum(1 for one in found if kind is None or one.get("class") == kind)

    @staticmethod
    def texts(tree):
        return [one.text for one in tree.iter("{http://www.w3.org/2000/svg}text")]

    def test_a_line_for_each_series_and_a_dot_for_each_point(self):
        path = self.file("a.json", json.dumps(LIMITS))
        tree = self.draw(path, "--list", "unix.raw", "--x", "size", "--y", "bytes_per_second", "--series", "buffer",
                         "--log", "x")
        self.assertEqual(self.count(tree, "polyline"), 2)
        self.assertEqual(self.count(tree, "circle"), 4)
        self.assertEqual(self.count(tree, "path", "whisker"), 1)
        for text in ("GB/s", "64 B", "1 KiB", "buffer 4 KiB", "buffer 8 KiB"):
            self.assertIn(text, self.texts(tree))

    def test_a_bar_for_each_file_with_the_median_of_its_runs(self):
        runs = self.file("a.json", '[{"rtt_ns":{"p50":2000}},{"rtt_ns":{"p50":9000}},{"rtt_ns":{"p50":3000}}]')
        lines = self.file("b.json", '{"rtt_ns":{"p50":5000}}\n{"rtt_ns":{"p50":7000}}\n')
        tree = self.draw("raw=" + runs, "a < b=" + lines, "--y", "rtt_ns.p50", "--title", 'Round "trip" & back')
        self.assertEqual(self.count(tree, "rect", "bar"), 2)
        for text in ("3", "6", "µs", "raw", "a < b", 'Round "trip" & back'):
            self.assertIn(text, self.texts(tree))

    def test_only_rows_that_fit_the_conditions(self):
        path = self.file("a.json", json.dumps(LIMITS))
        tree = self.draw(path, "--list", "unix.raw", "--x", "size", "--y", "bytes_per_second", "--where",
                         "buffer=4096", "--kind", "bar")
        self.assertEqual(self.count(tree, "rect", "bar"), 2)

    def test_a_logarithmic_axis_puts_equal_ratios_at_equal_distances(self):
        scale = plot.Logarithmic(1, 1000, 0, 300)
        self.assertAlmostEqual(scale.at(10) - scale.at(1), scale.at(1000) - scale.at(100))
        self.assertEqual((scale.at(1), scale.at(1000)), (0, 300))

    def test_a_linear_axis_covers_its_values_with_round_steps(self):
        scale = plot.Linear(0, 17.3, 0, 100)
        self.assertEqual(scale.ticks(), [0, 5, 10, 15, 20])

    def test_what_cannot_be_drawn_is_said_in_one_line(self):
        good = self.file("a.json", json.dumps(LIMITS))
        bad = self.file("b.json", "{")
        self.assertIn("No such file", self.refused("/nowhere.json", "--y", "x"))
        self.assertIn("b.json: not JSON", self.refused(bad, "--y", "x"))
        self.assertIn("no list at 'tcp.raw'", self.refused(good, "--list", "tcp.raw", "--y", "x"))
        no_such_key = self.refused(good, "--list", "unix.raw", "--x", "size", "--y", "speed")
        self.assertIn("'speed' is not a number", no_such_key)
        self.assertIn("no row fits", self.refused(good, "--list", "unix.raw", "--y", "size", "--where", "size=7"))
        zero = self.file("c.json", '[{"n":0,"x_ns":0},{"n":1,"x_ns":5}]')
        self.assertIn("above 0", self.refused(zero, "--x", "n", "--y", "x_ns", "--log", "y"))


if __name__ == "__main__":
    unittest.main()
