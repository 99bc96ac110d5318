#include "channel/option_docs.hpp"

#include <ferry/options.hpp>

#include <string_view>

namespace ferry {
namespace {

constexpr std::string_view k_introduction = R"(# Options

This page is made from the table of options, `src/channel/option_table.cpp`; a test compares the two.
To write it anew: `FERRY_UPDATE_DOCS=1 make test FILTER=option_docs`.

One name, four ways to set it. In all of them `-` and `_` are alike, and capitals are small letters:

| way | example |
|---|---|
| URL | `tcp://localhost:5000?max_message=1MiB&idle-timeout=30s` |
| command line | `-o max_message=1MiB` |
| TOML, at the top or in `[channel]` | `max_message = "1MiB"` |
| environment | `FERRY_MAX_MESSAGE=1MiB` |

For `ws` and `wss` the query of the URL belongs to the request; there the other ways remain. An option may stand in a
URL once. A name that does not exist is an error that suggests the near one, and so is a value outside its range:
nothing is cut to fit. In C++ they are the members of `ferry::options`.

| kind of value | how it is written |
|---|---|
| size | `65536`, `64KiB`, `1MiB`, `2GiB`; `2k`, `2kB`, `2M`, `2G` are thousands |
| duration | `500us`, `10ms`, `1.5s`, `1m`, `2h`; the unit is needed, except for `0` |
| count | `1000`, `10k` |
| number | `1.6`, `20%` |
| flag | `on`, `off` (also `true`, `false`, `yes`, `no`, `1`, `0`) |
| mode | permissions in octal: `0660` |
)";

std::string row_of(const option_info& option) {
  const auto shown_default = option.default_text.empty() ? "empty" : "`" + option.default_text + "`";
  std::string out = "| `" + std::string(option.name) + "` | " + shown_default + " | ";
  out.append(option.values).append(" | ").append(option.applies).append(" | ").append(option.help).append(" |\n");
  return out;
}

}  // namespace

std::string options_markdown() {
  std::string out(k_introduction);
  std::string_view group;
  for (const auto& option : option_table()) {
    if (option.group != group) {
      group = option.group;
      out.append("\n## ").append(group).append("\n\n");
      out += "| option | default | values | applies to | what it does |\n|---|---|---|---|---|\n";
    }
    out += row_of(option);
  }
  return out;
}

}  // namespace ferry
