#include "codec/deflate_offer.hpp"

#include <algorithm>
#include <array>

#include "base/utf8.hpp"

namespace ferry::codec {
namespace {

constexpr std::string_view k_name = "permessage-deflate";
constexpr int k_least_bits = 8;
constexpr int k_most_bits = 15;

/// The parameters of one extension as they are written; 0 bits: without a value.
struct written_parameters {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::optional<int> server_max_window_bits;
  std::optional<int> client_max_window_bits;
};

/// Reads `extension *("," extension)`, `extension = token *(";" token ["=" (token | quoted-string)])`.
class extension_reader {
 public:
  explicit extension_reader(std::string_view text) noexcept : left_(text) {}

  /// The next extension begins here. False at the end of the list, or where it cannot be read: see malformed().
  bool next_extension() {
    while (skip(',')) {
    }
    if (left_.empty() || malformed_) return false;
    name_ = token();
    return !malformed_;
  }
  /// The next parameter of this extension.
  bool next_parameter() {
    if (malformed_ || !skip(';')) {
      malformed_ = malformed_ || !(left_.empty() || left_.front() == ',');
      return false;
    }
    name_ = token();
    value_.reset();
    if (!malformed_ && skip('=')) value_ = skip('"') ? quoted() : std::string(token());
    return !malformed_;
  }
  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] const std::optional<std::string>& value() const noexcept { return value_; }
  [[nodiscard]] bool malformed() const noexcept { return malformed_; }

 private:
  static bool is_token(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  }
  void skip_blanks() noexcept { left_.remove_prefix(std::min(left_.find_first_not_of(" \t"), left_.size())); }
  bool skip(char wanted) noexcept {
    skip_blanks();
    if (left_.empty() || left_.front() != wanted) return false;
    left_.remove_prefix(1);
    if (wanted != '"') skip_blanks();
    return true;
  }
  std::string_view token() noexcept {
    const auto end = std::find_if_not(left_.begin(), left_.end(), is_token);
    const auto found = left_.substr(0, static_cast<std::size_t>(end - left_.begin()));
    malformed_ = malformed_ || found.empty();
    left_.remove_prefix(found.size());
    skip_blanks();
    return found;
  }
  // What is quoted must be a token too, once the backslashes are gone.
  std::string quoted() {
    std::string found;
    while (!left_.empty() && left_.front() != '"') {
      if (left_.front() == '\\') left_.remove_prefix(1);
      if (left_.empty()) break;
      malformed_ = malformed_ || !is_token(left_.front());
      found += left_.front();
      left_.remove_prefix(1);
    }
    malformed_ = malformed_ || left_.empty() || found.empty();
    if (!left_.empty()) left_.remove_prefix(1);
    skip_blanks();
    return found;
  }

  std::string_view left_;
  std::string_view name_;
  std::optional<std::string> value_;
  bool malformed_ = false;
};

std::optional<int> window_bits(std::string_view digits) noexcept {
  for (int bits = k_least_bits; bits <= k_most_bits; ++bits)
    if (digits == std::to_string(bits)) return bits;
  return std::nullopt;
}

/// One parameter into its place. False if it is unknown, given twice, or has a value that it must not have.
bool take(const extension_reader& from, bool client_bits_may_be_bare, written_parameters& into) {
  const auto& value = from.value();
  const auto flag = [&](bool& place) { return !value && !std::exchange(place, true); };
  const auto bits = [&](std::optional<int>& place, bool may_be_bare) {
    if (place) return false;
    place = value ? window_bits(*value) : may_be_bare ? std::optional(k_most_bits) : std::nullopt;
    return place.has_value();
  };
  if (from.name() == "server_no_context_takeover") return flag(into.server_no_context_takeover);
  if (from.name() == "client_no_context_takeover") return flag(into.client_no_context_takeover);
  if (from.name() == "server_max_window_bits") return bits(into.server_max_window_bits, false);
  if (from.name() == "client_max_window_bits") return bits(into.client_max_window_bits, client_bits_may_be_bare);
  return false;
}

/// The parameters of the extension that the reader stands at; nothing if one of them is wrong.
std::optional<written_parameters> read_parameters(extension_reader& from, bool client_bits_may_be_bare) {
  written_parameters all;
  bool good = true;
  while (from.next_parameter()) good = good && take(from, client_bits_may_be_bare, all);
  return good ? std::optional(all) : std::nullopt;
}

void add_bits(std::string& to, std::string_view name, int bits) {
  to.append("; ").append(name).append("=").append(std::to_string(bits));
}

std::string written(const written_parameters& all) {
  std::string text(k_name);
  if (all.server_no_context_takeover) text.append("; server_no_context_takeover");
  if (all.client_no_context_takeover) text.append("; client_no_context_takeover");
  if (all.server_max_window_bits) add_bits(text, "server_max_window_bits", *all.server_max_window_bits);
  if (all.client_max_window_bits) add_bits(text, "client_max_window_bits", *all.client_max_window_bits);
  return text;
}

int in_range(int bits) noexcept { return std::clamp(bits, k_least_bits, k_most_bits); }

deflate_acceptance accept(const written_parameters& offer, const deflate_parameters& wishes) {
  deflate_acceptance made;
  auto& agreed = made.agreed;
  written_parameters answer;
  agreed.server_no_context_takeover = answer.server_no_context_takeover =
      wishes.server_no_context_takeover || offer.server_no_context_takeover;
  agreed.client_no_context_takeover = answer.client_no_context_takeover =
      wishes.client_no_context_takeover || offer.client_no_context_takeover;
  agreed.server_max_window_bits =
      std::min(in_range(wishes.server_max_window_bits), offer.server_max_window_bits.value_or(k_most_bits));
  if (offer.server_max_window_bits || agreed.server_max_window_bits < k_most_bits)
    answer.server_max_window_bits = agreed.server_max_window_bits;
  if (offer.client_max_window_bits) {
    agreed.client_max_window_bits = std::min(in_range(wishes.client_max_window_bits), *offer.client_max_window_bits);
    if (agreed.client_max_window_bits < k_most_bits) answer.client_max_window_bits = agreed.client_max_window_bits;
  }
  made.answer = written(answer);
  return made;
}

error wrong_answer(std::string_view answer, const char* why) {
  return {errc::protocol, std::string("Sec-WebSocket-Extensions: '")
                              .append(printable(answer.substr(0, 200)))
                              .append("' is no answer to our offer: ")
                              .append(why)};
}

}  // namespace

std::string deflate_offer(const deflate_parameters& wishes) {
  written_parameters offer;
  offer.server_no_context_takeover = wishes.server_no_context_takeover;
  offer.client_no_context_takeover = wishes.client_no_context_takeover;
  if (wishes.server_max_window_bits < k_most_bits)
    offer.server_max_window_bits = in_range(wishes.server_max_window_bits);
  if (wishes.client_max_window_bits < k_most_bits)
    offer.client_max_window_bits = in_range(wishes.client_max_window_bits);
  auto text = written(offer);
  // Without a value: the server may limit our window.
  return offer.client_max_window_bits ? text : text.append("; client_max_window_bits");
}

std::optional<deflate_acceptance> accept_deflate(std::string_view offers, const deflate_parameters& wishes) {
  extension_reader reader(offers);
  std::optional<written_parameters> taken;
  while (reader.next_extension()) {
    const bool ours = reader.name() == k_name;
    const auto offer = read_parameters(reader, true);
    if (ours && offer && !taken) taken = offer;
  }
  if (reader.malformed() || !taken) return std::nullopt;
  return accept(*taken, wishes);
}

result<std::optional<deflate_parameters>> accepted_deflate(std::string_view answer, const deflate_parameters& wishes) {
  extension_reader reader(answer);
  if (!reader.next_extension()) {
    if (reader.malformed()) return wrong_answer(answer, "it cannot be read");
    return std::optional<deflate_parameters>();
  }
  if (reader.name() != k_name) return wrong_answer(answer, "it names another extension");
  const auto given = read_parameters(reader, false);
  if (reader.malformed()) return wrong_answer(answer, "it cannot be read");
  if (!given) return wrong_answer(answer, "a parameter is unknown, given twice, or out of range");
  if (reader.next_extension() || reader.malformed()) return wrong_answer(answer, "it names more than one extension");
  if (wishes.server_no_context_takeover && !given->server_no_context_takeover)
    return wrong_answer(answer, "server_no_context_takeover is missing");
  const int most = in_range(wishes.server_max_window_bits);
  if (most < k_most_bits && !given->server_max_window_bits)
    return wrong_answer(answer, "server_max_window_bits is missing");
  if (given->server_max_window_bits.value_or(most) > most)
    return wrong_answer(answer, "server_max_window_bits is larger than ours");
  deflate_parameters agreed;
  agreed.server_no_context_takeover = given->server_no_context_takeover;
  agreed.client_no_context_takeover = given->client_no_context_takeover || wishes.client_no_context_takeover;
  agreed.server_max_window_bits = given->server_max_window_bits.value_or(k_most_bits);
  agreed.client_max_window_bits =
      std::min(given->client_max_window_bits.value_or(k_most_bits), in_range(wishes.client_max_window_bits));
  return std::optional(agreed);
}

}  // namespace ferry::codec
