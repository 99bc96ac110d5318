#include "session/snet_handshake.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/constant_time.hpp"
#include "base/endian.hpp"

namespace ferry::session {
namespace {

using codec::snet::answer;
using codec::snet::answer_bytes;
using codec::snet::challenge_proof;
using codec::snet::form;

// Enciphers and deciphers: the first 8 bytes of the server's stream.
std::uint64_t through_cipher(std::uint64_t id, const codec::snet::shared_key& key) noexcept {
  std::array<std::byte, 8> said{};
  store_le(said.data(), id);
  codec::snet::rc4(key).apply(said, said);
  return load_le<std::uint64_t>(said.data());
}

codec::snet::message proof_of(const codec::snet::digest& what) noexcept {
  codec::snet::message made;
  std::memcpy(made.data.data(), what.data(), what.size());
  made.size = what.size();
  return made;
}

}  // namespace

codec::snet::message snet_connecting::begin() const noexcept {
  if (stream_ == nullptr) return encode_new(codec::snet::public_key(private_key_), options_.form);
  return encode_again(stream_->id(), counts_, stream_->key(), options_.form);
}

result<snet_step> snet_connecting::on_bytes(bytes in) {
  const auto size = answer_bytes(options_.form);
  if (in.size() < size) return snet_step{};
  const auto said = decode_answer(in, options_.form);
  snet_step step{size, {}, true};
  if (stream_ == nullptr) {
    const auto key = codec::snet::agree(private_key_, said.first);
    if (!key) return key.error();
    made_ = std::make_unique<snet_stream>(options_, through_cipher(said.second, *key), *key, snet_end::client);
  } else {
    if (options_.form == form::newer && said.is_refusal())
      return error(errc::refused, "the server does not know resumable stream " + std::to_string(stream_->id()) +
                                      ", or not with these counts");
    const auto found = stream_->resume({said.first, said.second});
    if (!found) return found.error();
    replay_ = *found;
  }
  const auto& stream = stream_ == nullptr ? *made_ : *stream_;
  if (options_.form == form::newer) step.send = proof_of(challenge_proof(said.challenge, stream.key()));
  return step;
}

result<snet_step> snet_accepting::on_bytes(bytes in) {
  switch (state_) {
    case state::opening: return open(in);
    case state::proving: return prove(in);
    case state::done: break;
  }
  return error(errc::misuse, "the handshake is done");
}

codec::snet::message snet_accepting::farewell() const noexcept {
  if (options_.form == form::older || !again_) return {};
  return encode(answer{}, form::newer);
}

result<snet_step> snet_accepting::open(bytes in) {
  const auto asked = decode_opening(in, options_.form);
  if (!asked) return asked.error();
  if (asked->consumed == 0) return snet_step{};
  again_ = asked->again;
  return again_ ? open_again(*asked) : open_new(*asked);
}

result<snet_step> snet_accepting::open_new(const codec::snet::opening& asked) {
  const auto key = codec::snet::agree(chance_.private_key, asked.public_key);
  if (!key) return key.error();
  id_ = chance_.id;
  made_ = std::make_unique<snet_stream>(options_, id_, *key, snet_end::server);
  expected_ = challenge_proof(chance_.challenge, *key);
  return answered(asked.consumed, {codec::snet::public_key(chance_.private_key), through_cipher(id_, *key)});
}

result<snet_step> snet_accepting::open_again(const codec::snet::opening& asked) {
  snet_stream* const stream = streams_.find(asked.id);
  if (stream == nullptr)
    return error(errc::auth, "resumable stream " + std::to_string(asked.id) + " is not known, or not any more");
  if (!equal_in_constant_time(asked.proof, opening_proof(asked.id, asked.has, stream->key())))
    return error(errc::auth, "a wrong proof for resumable stream " + std::to_string(asked.id));
  // The proof is of nothing that is new: whoever has heard it can say it again.
  if (stream->is_outdated(asked.has))
    return error(errc::auth, "what was said for resumable stream " + std::to_string(asked.id) + " before it went on");
  streams_.come_again(*stream);
  const auto found = stream->resume(asked.has);
  if (!found) return found.error();
  id_ = asked.id;
  peer_ = asked.has;
  told_ = stream->counts();
  replay_ = *found;
  expected_ = challenge_proof(chance_.challenge, stream->key());
  return answered(asked.consumed, {told_.written, told_.received});
}

snet_step snet_accepting::answered(std::size_t consumed, const answer& what) noexcept {
  auto full = what;
  full.challenge = chance_.challenge;
  const bool done = options_.form == form::older;
  state_ = done ? state::done : state::proving;
  return {consumed, encode(full, options_.form), done};
}

result<snet_step> snet_accepting::prove(bytes in) {
  if (in.size() < codec::snet::k_proof_bytes) return snet_step{};
  again_ = false;  // has been answered: from now on closing tells all
  if (!equal_in_constant_time(in.first(codec::snet::k_proof_bytes), expected_))
    return error(errc::auth, "a wrong answer to the challenge of resumable stream " + std::to_string(id_));
  if (!made_) {
    // Between answer and proof somebody else may have come for it, or its time was over.
    snet_stream* const stream = streams_.find(id_);
    if (stream == nullptr || stream->counts().received != told_.received)
      return error(errc::auth, "resumable stream " + std::to_string(id_) + " went on, or ended, without this client");
    const auto found = stream->resume(peer_);
    if (!found) return found.error();
    replay_ = *found;
  }
  state_ = state::done;
  return snet_step{codec::snet::k_proof_bytes, {}, true};
}

}  // namespace ferry::session
