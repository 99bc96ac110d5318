#include "bench/compare.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "bench/statistics.hpp"
#include "bench/table.hpp"

namespace ferry::bench {

namespace json = boost::json;

namespace {

/// What tells the entries of a list apart; never figures themselves.
constexpr std::string_view k_settings[] = {"transport",   "url",       "name",    "size",    "buffer",
                                           "connections", "in_flight", "clients", "virtual", "window"};

bool is_setting(std::string_view key) {
  return std::find(std::begin(k_settings), std::end(k_settings), key) != std::end(k_settings);
}

std::string text_of(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

/// "[size=64 buffer=262144]", or the entry's place in the list when it has no settings.
std::string label(const json::value& entry, std::size_t place) {
  std::string text;
  if (const auto* object = entry.if_object())
    for (const auto key : k_settings)
      if (const auto* value = object->if_contains(key)) {
        text += text.empty() ? "" : " ";
        text.append(key).append("=").append(text_of(*value));
      }
  return "[" + (text.empty() ? std::to_string(place) : text) + "]";
}

std::optional<double> number(const json::value& value) {
  if (!value.is_number()) return std::nullopt;
  return value.to_number<double>();
}

/// One side's figures: the values of each key over the runs, in the order in which the keys appear.
class figures {
 public:
  void add_run(const json::value& run) { walk({}, run, false); }

  [[nodiscard]] const std::vector<std::string>& keys() const noexcept { return keys_; }
  [[nodiscard]] const std::vector<double>* find(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
  }

  [[nodiscard]] side over_all_runs(const std::string& key) const {
    const auto& samples = values_.at(key);
    side one{samples.size(), median(samples), *std::min_element(samples.begin(), samples.end()),
             *std::max_element(samples.begin(), samples.end())};
    // A result that is a median already says its own spread; two runs at least are behind it.
    if (const auto* least = find(key + "_min")) {
      one.min = std::min(one.min, *std::min_element(least->begin(), least->end()));
      one.runs = std::max<std::size_t>(one.runs, 2);
    }
    if (const auto* most = find(key + "_max"))
      one.max = std::max(one.max, *std::max_element(most->begin(), most->end()));
    return one;
  }

  /// KEY_min or KEY_max of a KEY that is there.
  [[nodiscard]] bool is_spread(const std::string& key) const {
    const bool ending = key.ends_with("_min") || key.ends_with("_max");
    return ending && find(key.substr(0, key.size() - 4)) != nullptr;
  }

 private:
  void walk(const std::string& path, const json::value& value, bool in_list) {
    if (const auto found = number(value)) {
      auto& samples = values_[path];
      if (samples.empty()) keys_.push_back(path);
      samples.push_back(*found);
    } else if (const auto* object = value.if_object()) {
      for (const auto& [key, inner] : *object)
        if (!in_list || !is_setting(key))
          walk(path.empty() ? std::string(key) : path + "." + std::string(key), inner, false);
    } else if (const auto* list = value.if_array()) {
      for (std::size_t i = 0; i < list->size(); ++i) walk(path + label((*list)[i], i), (*list)[i], true);
    }
  }

  std::vector<std::string> keys_;
  std::map<std::string, std::vector<double>> values_;
};

result<figures> collect(const json::value& from, const char* name) {
  figures found;
  if (from.is_object()) {
    found.add_run(from);
    return found;
  }
  const auto* runs = from.if_array();
  if (runs == nullptr || runs->empty())
    return error(errc::misuse, std::string(name) + " is neither a result nor a list of at least one");
  for (const auto& run : *runs) {
    if (!run.is_object()) return error(errc::misuse, std::string(name) + " holds a run that is no object");
    found.add_run(run);
  }
  return found;
}

enum class direction { lower, higher, unclear };

direction better(std::string_view key) {
  const auto ends = [&](std::string_view ending) { return key.ends_with(ending); };
  if (ends("_per_second")) return direction::higher;
  if (ends("_per_message") || ends("_per_echo") || ends("lost") || ends("duplicated") || ends("corrupt"))
    return direction::lower;
  if (ends("_ns") || key.find("_ns.") != std::string_view::npos) return direction::lower;
  return direction::unclear;
}

verdict judge(const std::string& key, const side& a, const side& b) {
  if (a.min == b.min && a.max == b.max && a.median == b.median) return verdict::same;
  if (a.runs < 2 || b.runs < 2) return verdict::unknown;
  if (a.min <= b.max && b.min <= a.max) return verdict::noise;
  switch (better(key)) {
    case direction::lower: return b.median < a.median ? verdict::better : verdict::worse;
    case direction::higher: return b.median > a.median ? verdict::better : verdict::worse;
    case direction::unclear: break;
  }
  return verdict::differs;
}

/// Nanoseconds, rates and plain numbers, each as people read them.
std::string value_text(std::string_view key, double value) {
  if (key.ends_with("bytes_per_second")) return bytes_rate_text(value);
  if (key.ends_with("_per_second")) return rate_text(value);
  if (key.find("_ns") != std::string_view::npos) return nanoseconds_text(value);
  return fixed(value, value == std::floor(value) ? 0 : 3);
}

std::string spread_text(const std::string& key, const side& one) {
  if (one.runs < 2) return "one run";
  return value_text(key, one.min) + " .. " + value_text(key, one.max);
}

json::object to_json(const side& one) {
  return {{"runs", one.runs}, {"median", one.median}, {"min", one.min}, {"max", one.max}};
}

}  // namespace

const char* to_string(verdict value) noexcept {
  switch (value) {
    case verdict::same: return "same";
    case verdict::noise: return "noise";
    case verdict::better: return "better";
    case verdict::worse: return "worse";
    case verdict::differs: return "differs";
    case verdict::unknown: return "one run";
  }
  return "";
}

result<comparison> compare(const json::value& a, const json::value& b) {
  const auto left = collect(a, "the first side");
  if (!left) return left.error();
  const auto right = collect(b, "the second side");
  if (!right) return right.error();

  comparison found;
  for (const auto& key : left->keys()) {
    if (left->is_spread(key)) continue;
    if (right->find(key) == nullptr) {
      found.only_a.push_back(key);
      continue;
    }
    compared one{key, left->over_all_runs(key), right->over_all_runs(key), 0, verdict::same};
    if (one.a.median != 0) one.ratio = one.b.median / one.a.median;
    one.outcome = judge(key, one.a, one.b);
    found.figures.push_back(std::move(one));
  }
  for (const auto& key : right->keys())
    if (!right->is_spread(key) && left->find(key) == nullptr) found.only_b.push_back(key);
  if (found.figures.empty()) return error(errc::misuse, "the two results have no figure in common");
  return found;
}

result<json::array> read_results(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return error::from_errno(errno, "open " + path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};

  json::array runs;
  std::string_view rest = text;
  const auto skip_space = [&] { rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size())); };
  for (skip_space(); !rest.empty(); skip_space()) {
    json::stream_parser parser;
    boost::system::error_code failed;
    const auto used = parser.write_some(rest.data(), rest.size(), failed);
    if (!failed && !parser.done()) parser.finish(failed);
    if (failed)
      return error(errc::corrupt, path + ": not JSON behind byte " + std::to_string(text.size() - rest.size() + used) +
                                      ": " + failed.message());
    rest.remove_prefix(used);
    auto value = parser.release();
    if (auto* list = value.if_array())
      std::move(list->begin(), list->end(), std::back_inserter(runs));
    else
      runs.push_back(std::move(value));
  }
  if (runs.empty()) return error(errc::corrupt, path + ": no result in it");
  return runs;
}

result<comparison> compare_files(const std::string& a, const std::string& b) {
  const auto left = read_results(a);
  if (!left) return left.error();
  const auto right = read_results(b);
  if (!right) return right.error();
  auto found = compare(json::value(*left), json::value(*right));
  if (!found) return found.error().in(a + " and " + b);
  return found;
}

std::string to_table(const comparison& found, const std::string& name_a, const std::string& name_b) {
  using enum alignment;
  text_table table({"figure", name_a, "spread", name_b, "spread", "ratio", ""},
                   {left, right, right, right, right, right, left});
  for (const auto& one : found.figures)
    table.add({one.key, value_text(one.key, one.a.median), spread_text(one.key, one.a),
               value_text(one.key, one.b.median), spread_text(one.key, one.b),
               one.ratio == 0 ? "-" : fixed(one.ratio, 3), to_string(one.outcome)});
  auto text = table.text();
  for (const auto& key : found.only_a) text += "only in " + name_a + ": " + key + "\n";
  for (const auto& key : found.only_b) text += "only in " + name_b + ": " + key + "\n";
  return text;
}

json::object to_json(const comparison& found) {
  json::array list;
  for (const auto& one : found.figures)
    list.push_back(json::object{{"key", one.key},
                                {"a", to_json(one.a)},
                                {"b", to_json(one.b)},
                                {"ratio", one.ratio},
                                {"outcome", to_string(one.outcome)}});
  return {{"figures", std::move(list)},
          {"only_a", json::array(found.only_a.begin(), found.only_a.end())},
          {"only_b", json::array(found.only_b.begin(), found.only_b.end())}};
}

}  // namespace ferry::bench
