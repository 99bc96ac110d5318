#include "session/resume_token.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/constant_time.hpp"
#include "base/endian.hpp"

namespace ferry::session {
namespace {

constexpr std::string_view k_magic = "FERRYRS1";
constexpr std::size_t k_fresh_bytes = 16;
constexpr std::size_t k_words = 8;  // bytes of a number, and of the part with a wish or a status

void store(std::byte* to, const resume_token& token) noexcept {
  store_le(to, token.id);
  std::memcpy(to + k_words, token.key.data(), token.key.size());
}
resume_token load_token(const std::byte* from) noexcept {
  resume_token made{load_le<std::uint64_t>(from), {}};
  std::memcpy(made.key.data(), from + k_words, made.key.size());
  return made;
}
codec::snet::counts load_counts(const std::byte* from) noexcept {
  return {load_le<std::uint64_t>(from), load_le<std::uint64_t>(from + k_words)};
}

codec::snet::message answer(resume_answer::status is) noexcept {
  codec::snet::message made;
  made.data[0] = static_cast<std::byte>(is);
  made.size = resume_answer::k_bytes;
  return made;
}

bool is_zero(bytes part) noexcept {
  return std::all_of(part.begin(), part.end(), [](std::byte one) { return one == std::byte{0}; });
}

}  // namespace

std::array<std::byte, resume_opening::k_most_bytes> encode(const resume_opening& what, std::size_t& size) noexcept {
  std::array<std::byte, resume_opening::k_most_bytes> made{};
  std::memcpy(made.data(), k_magic.data(), k_magic.size());
  made[k_magic.size()] = static_cast<std::byte>(what.what);
  size = k_fresh_bytes;
  if (what.what == resume_opening::wish::fresh) return made;
  size = made.size();
  store(made.data() + k_fresh_bytes, what.token);
  store_le(made.data() + 32, what.has.written);
  store_le(made.data() + 40, what.has.received);
  return made;
}

result<resume_opening> decode_resume_opening(bytes in) {
  const auto known = std::min(in.size(), k_magic.size());
  if (std::memcmp(in.data(), k_magic.data(), known) != 0)
    return error(errc::protocol, "this is not how a resumable stream begins (FERRYRS1)");
  if (in.size() < k_fresh_bytes) return resume_opening{};
  const auto wish = std::to_integer<unsigned>(in[k_magic.size()]);
  if (wish > static_cast<unsigned>(resume_opening::wish::over) || !is_zero(in.subspan(9, 7)))
    return error(errc::protocol,
                 "a resumable stream begins with wish " + std::to_string(wish) + ", which nobody knows");
  resume_opening made;
  made.what = static_cast<resume_opening::wish>(wish);
  const auto size = made.what == resume_opening::wish::fresh ? k_fresh_bytes : resume_opening::k_most_bytes;
  if (in.size() < size) return resume_opening{};
  made.consumed = size;
  if (made.what == resume_opening::wish::fresh) return made;
  made.token = load_token(in.data() + k_fresh_bytes);
  made.has = load_counts(in.data() + 32);
  return made;
}

result<resume_answer> decode_resume_answer(bytes in, bool fresh) {
  const auto status = std::to_integer<unsigned>(in[0]);
  if (status > static_cast<unsigned>(resume_answer::status::impossible))
    return error(errc::protocol, "a resumable stream was answered with " + std::to_string(status));
  resume_answer made;
  made.is = static_cast<resume_answer::status>(status);
  if (fresh)
    made.token = load_token(in.data() + k_words);
  else
    made.has = load_counts(in.data() + k_words);
  return made;
}

result<snet_step> token_accepting::on_bytes(bytes in) {
  const auto asked = decode_resume_opening(in);
  if (!asked) return asked.error();
  if (asked->consumed == 0) return snet_step{};
  auto said = answer(resume_answer::status::good);
  if (asked->what == resume_opening::wish::fresh) {
    id_ = fresh_.id;
    made_ = std::make_unique<snet_stream>(options_, fresh_.id, fresh_.key, snet_end::server);
    store(said.data.data() + k_words, fresh_);
    return snet_step{asked->consumed, said, true};
  }
  snet_stream* const stream = streams_.find(asked->token.id);
  if (stream == nullptr || !equal_in_constant_time(stream->key(), asked->token.key)) {
    refused_ = resume_answer::status::unknown;
    return error(errc::auth, "a token of no resumable stream, or of one that is over");
  }
  id_ = asked->token.id;
  streams_.come_again(*stream);
  if (asked->what == resume_opening::wish::over) {
    over_ = true;
    return snet_step{asked->consumed, said, true};
  }
  const auto found = stream->resume(asked->has);
  if (!found) {
    refused_ = resume_answer::status::impossible;
    return found.error();
  }
  replay_ = *found;
  store_le(said.data.data() + k_words, stream->counts().written);
  store_le(said.data.data() + 2 * k_words, stream->counts().received);
  return snet_step{asked->consumed, said, true};
}

codec::snet::message token_accepting::farewell() const noexcept {
  return refused_ == resume_answer::status::good ? codec::snet::message{} : answer(refused_);
}

codec::snet::message token_connecting::begin() const noexcept {
  codec::snet::message made;
  const auto said = encode(asked_, made.size);
  std::memcpy(made.data.data(), said.data(), made.size);
  return made;
}

result<snet_step> token_connecting::on_bytes(bytes in) {
  if (in.size() < resume_answer::k_bytes) return snet_step{};
  const auto said = decode_resume_answer(in, stream_ == nullptr);
  if (!said) return said.error();
  if (said->is != resume_answer::status::good)
    return error(errc::refused, said->is == resume_answer::status::unknown
                                    ? "the server does not know this resumable stream any more"
                                    : "the server lacks more of this resumable stream than can be sent again");
  const snet_step step{resume_answer::k_bytes, {}, true};
  if (stream_ == nullptr) {
    made_ = std::make_unique<snet_stream>(options_, said->token.id, said->token.key, snet_end::client);
    return step;
  }
  const auto found = stream_->resume(said->has);
  if (!found) return found.error();
  replay_ = *found;
  return step;
}

}  // namespace ferry::session
