// Any NAME=VALUE: no crash, a refusal changes nothing, and what is set is written and read back as the same value.
#include <ferry/options.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/checks.hpp"

using ferry::fuzz::is_one_line;
using ferry::fuzz::require;
using ferry::fuzz::written;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string entry(reinterpret_cast<const char*>(data), size);
  const auto equals = std::min(entry.find('='), entry.size());
  const auto name = std::string_view(entry).substr(0, equals);
  const auto value = std::string_view(entry).substr(std::min(equals + 1, entry.size()));

  ferry::options first;
  if (const auto problem = ferry::set_option(first, name, value)) {
    require(!problem->text.empty() && is_one_line(problem->text) && problem->text.size() < 2000);
    require(written(first) == written({}));
  } else {
    ferry::options second;
    require(!ferry::set_option(second, name, ferry::get_option(first, name)));
    require(written(second) == written(first));
    const auto together = ferry::check_options(first);
    require(!together || is_one_line(together->text));
  }

  const std::string variable = "FERRY_" + entry;
  const char* const environment[] = {entry.c_str(), variable.c_str()};
  ferry::options third;
  const auto problem = ferry::set_options_from_environment(third, environment);
  require(!problem || written(third) == written({}));
  return 0;
}
