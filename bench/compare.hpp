#pragma once
/// `ferry bench compare A.json B.json`: two sets of benchmark results, figure by figure, and what of it is noise.

#include <ferry/error.hpp>

#include <boost/json/fwd.hpp>
#include <cstddef>
#include <string>
#include <vector>

namespace ferry::bench {

/// One figure on one side, over that side's repeated runs.
struct side {
  std::size_t runs = 0;
  double median = 0;
  double min = 0;
  double max = 0;
};

enum class verdict {
  same,     ///< not a hair's difference
  noise,    ///< the spreads overlap: nothing can be said
  better,   ///< B is better than A, and all of B's runs than all of A's
  worse,    ///< the other way round
  differs,  ///< apart, and the figure's name does not say which way is better
  unknown,  ///< they differ, but a side has one run, whose spread nobody knows
};

/// "same", "noise", ...; unknown is "one run".
[[nodiscard]] const char* to_string(verdict value) noexcept;

struct compared {
  std::string key;  ///< "rtt_ns.p50", "unix.raw_oneway[size=64 buffer=262144].messages_per_second"
  side a;
  side b;
  double ratio = 0;  ///< median of b / median of a; 0 when a's is 0
  verdict outcome = verdict::same;
};

struct comparison {
  std::vector<compared> figures;    ///< in the order of A
  std::vector<std::string> only_a;  ///< keys that B does not have
  std::vector<std::string> only_b;
};

/// Compares results: each side one object, or an array of objects, which are repeated runs of the same benchmark.
/// Figures are all numbers, found by their path of keys; the entries of a list of objects are told apart by their
/// settings (size, buffer, connections, in_flight, clients, virtual, window). KEY_min and KEY_max beside KEY are its
/// spread, for results that carry their own. Keys that end with _ns, or have such a parent, are better when lower; so
/// are lost, duplicated, corrupt, and what is counted per message; keys that end with _per_second when higher.
/// @return errc::misuse (a side is neither, holds no run, or no figure is in both)
[[nodiscard]] result<comparison> compare(const boost::json::value& a, const boost::json::value& b);

/// Reads a file that holds one object, an array of objects, or one object after another (as `--json` appended to a
/// file leaves them). @return the runs as an array | errc of the file | errc::corrupt, naming the file and the place
[[nodiscard]] result<boost::json::array> read_results(const std::string& path);

/// read_results of both, and compare.
[[nodiscard]] result<comparison> compare_files(const std::string& a, const std::string& b);

/// Lines of text, columns that line up. @param name_a, name_b titles, such as the names of the files
[[nodiscard]] std::string to_table(const comparison& found, const std::string& name_a, const std::string& name_b);
/// {figures: [{key, a {runs, median, min, max}, b {..}, ratio, outcome}], only_a, only_b}
[[nodiscard]] boost::json::object to_json(const comparison& found);

}  // namespace ferry::bench
