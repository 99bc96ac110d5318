#include <ferry/metrics.hpp>

#include <string_view>

namespace ferry {
namespace {

using labels = std::vector<std::pair<std::string, std::string>>;

std::string allowed(std::string_view name, bool colon) {
  std::string out;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c == ':' && colon);
    const bool digit = c >= '0' && c <= '9';
    if (digit && out.empty()) out += '_';
    out += letter || digit ? c : '_';
  }
  return out.empty() ? "_" : out;
}

std::string escaped(std::string_view text, bool in_quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '\\' || (c == '"' && in_quotes)) out += '\\';
      out += c;
    }
  }
  return out;
}

const char* type_of(metric_kind kind) {
  switch (kind) {
    case metric_kind::counter: return "counter";
    case metric_kind::gauge: return "gauge";
    case metric_kind::histogram: return "summary";
  }
  return "untyped";
}

void head(std::string& out, const std::string& name, std::string_view help, const char* type) {
  if (!help.empty()) out += "# HELP " + name + ' ' + escaped(help, false) + '\n';
  out += "# TYPE " + name + ' ' + type + '\n';
}

void line(std::string& out, const std::string& name, const labels& own, const char* quantile,
          const std::string& value) {
  out += name;
  char before = '{';
  const auto label = [&](const std::string& key, std::string_view text) {
    out += before + key + "=\"" + escaped(text, true) + '"';
    before = ',';
  };
  for (const auto& [key, text] : own) label(allowed(key, false), text);
  if (quantile != nullptr) label("quantile", quantile);
  if (before == ',') out += '}';
  out += ' ' + value + '\n';
}

void sample_lines(std::string& out, const std::string& name, const metric_sample& sample) {
  const auto& own = sample.id.labels;
  switch (sample.kind) {
    case metric_kind::counter: return line(out, name, own, nullptr, std::to_string(sample.count));
    case metric_kind::gauge: return line(out, name, own, nullptr, std::to_string(sample.level));
    case metric_kind::histogram:
      line(out, name, own, "0.5", std::to_string(sample.p50));
      line(out, name, own, "0.99", std::to_string(sample.p99));
      line(out, name, own, "0.999", std::to_string(sample.p999));
      line(out, name + "_sum", own, nullptr, std::to_string(sample.sum));
      line(out, name + "_count", own, nullptr, std::to_string(sample.count));
  }
}

}  // namespace

std::string prometheus_text(const std::vector<metric_sample>& samples) {
  std::string out;
  for (std::size_t first = 0, end = 0; first < samples.size(); first = end) {
    const auto name = allowed(samples[first].id.name, true);
    head(out, name, samples[first].id.help, type_of(samples[first].kind));
    bool has_max = false;
    for (end = first; end < samples.size() && samples[end].id.name == samples[first].id.name; ++end) {
      sample_lines(out, name, samples[end]);
      has_max |= samples[end].kind == metric_kind::histogram;
    }
    if (!has_max) continue;
    head(out, name + "_max", {}, "gauge");
    for (auto i = first; i < end; ++i)
      line(out, name + "_max", samples[i].id.labels, nullptr, std::to_string(samples[i].max));
  }
  return out;
}

}  // namespace ferry
