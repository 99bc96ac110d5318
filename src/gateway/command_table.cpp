#include "gateway/command_table.hpp"

#include <algorithm>
#include <utility>

#include "channel/wording.hpp"

namespace ferry::gateway {
namespace {

constexpr std::string_view k_blanks = " \t\r";

std::vector<std::string_view> words_in(std::string_view line) {
  std::vector<std::string_view> made;
  for (auto begin = line.find_first_not_of(k_blanks); begin != std::string_view::npos;) {
    const auto end = std::min(line.size(), line.find_first_of(k_blanks, begin));
    made.push_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(k_blanks, end);
  }
  return made;
}

template <class Each>
void each_line(std::string_view text, const Each& each) {
  while (!text.empty()) {
    const auto end = std::min(text.size(), text.find('\n'));
    each(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 1));
  }
}

}  // namespace

void command_table::add(command one) {
  const auto at = std::lower_bound(all_.begin(), all_.end(), one,
                                   [](const command& a, const command& b) { return a.name < b.name; });
  if (at != all_.end() && at->name == one.name)
    *at = std::move(one);
  else
    all_.insert(at, std::move(one));
}

result<std::string> command_table::run(std::string_view line) const {
  const auto given = words_in(line);
  const command* found = nullptr;
  std::size_t words_of_name = 0;
  for (const auto& one : all_) {
    const auto name = words_in(one.name);
    if (name.size() <= words_of_name || name.size() > given.size()) continue;
    if (!std::equal(name.begin(), name.end(), given.begin())) continue;
    found = &one;
    words_of_name = name.size();
  }
  if (found == nullptr)
    return error(errc::unknown_option, "unknown command '" + shown(line, 64) + "'; there are: " + list());
  const auto arguments = words(given).subspan(words_of_name);
  if (found->arguments.empty() && !arguments.empty())
    return error(errc::bad_option, found->name + ": takes no '" + shown(arguments.front(), 64) + "'");
  auto answer = found->run(arguments);
  if (!answer) return answer.error().in(found->name);
  return answer;
}

void command_table::run_all(std::string_view text, const std::function<void(const std::string&)>& tell) const {
  each_line(text, [&](std::string_view line) {
    const auto given = words_in(line);
    if (given.empty() || given.front().starts_with('#')) return;
    const auto answer = run(line);
    if (!answer) return tell(answer.error().text());
    each_line(*answer, [&](std::string_view part) { tell(std::string(part)); });
  });
}

std::string command_table::list() const {
  std::vector<std::string> names;
  for (const auto& one : all_) names.push_back(one.name + (one.arguments.empty() ? "" : " " + one.arguments));
  return joined(std::vector<std::string_view>(names.begin(), names.end()));
}

}  // namespace ferry::gateway
