#include "codec/snet_messages.hpp"

#include <algorithm>
#include <cstring>

#include "base/endian.hpp"
#include "codec/md5.hpp"

namespace ferry::codec::snet {
namespace {

constexpr std::byte k_new{0x00};
constexpr std::byte k_again{0xff};
constexpr std::size_t k_again_bytes = 40;  // id, counts, proof

void append(message& to, std::uint64_t value) noexcept {
  store_le(to.data.data() + to.size, value);
  to.size += 8;
}
void append(message& to, bytes data) noexcept {
  std::memcpy(to.data.data() + to.size, data.data(), data.size());
  to.size += data.size();
}
std::uint64_t number(bytes in, std::size_t at) noexcept { return load_le<std::uint64_t>(in.data() + at); }

opening again(bytes in, std::size_t before) noexcept {
  opening made{before + k_again_bytes, true, 0, number(in, before), {number(in, before + 8), number(in, before + 16)}};
  std::memcpy(made.proof.data(), in.data() + before + 24, made.proof.size());
  return made;
}

result<opening> newer_opening(bytes in) {
  if (in.empty()) return opening{};
  if (in[0] == k_new) return in.size() < 9 ? opening{} : opening{9, false, number(in, 1)};
  if (in[0] != k_again)
    return error(errc::protocol, "a resumable stream begins with byte " + std::to_string(std::to_integer<int>(in[0])));
  return in.size() < 1 + k_again_bytes ? opening{} : again(in, 1);
}

result<opening> older_opening(bytes in) {
  if (in.size() < k_again_bytes) return opening{};
  if (number(in, 0) != 0) return again(in, 0);
  if (number(in, 16) != 0 || number(in, 24) != 0 || number(in, 32) != 0)
    return error(errc::protocol, "a new resumable stream with bytes behind its key that are not zero");
  return opening{k_again_bytes, false, number(in, 8)};
}

}  // namespace

result<opening> decode_opening(bytes in, form as) { return as == form::newer ? newer_opening(in) : older_opening(in); }

message encode_new(std::uint64_t key, form as) noexcept {
  message made;
  if (as == form::newer)
    made.data[made.size++] = k_new;
  else
    append(made, 0);
  append(made, key);
  if (as == form::older) made.size = k_again_bytes;
  return made;
}

message encode_again(std::uint64_t id, const counts& has, const shared_key& key, form as) noexcept {
  message made;
  if (as == form::newer) made.data[made.size++] = k_again;
  append(made, id);
  append(made, has.written);
  append(made, has.received);
  append(made, opening_proof(id, has, key));
  return made;
}

digest opening_proof(std::uint64_t id, const counts& has, const shared_key& key) noexcept {
  std::array<std::byte, 24> said{};
  store_le(said.data(), id);
  store_le(said.data() + 8, has.written);
  store_le(said.data() + 16, has.received);
  return md5(said, key);
}

message encode(const answer& what, form as) noexcept {
  message made;
  append(made, what.first);
  append(made, what.second);
  if (as == form::newer) append(made, what.challenge);
  return made;
}

answer decode_answer(bytes in, form as) noexcept {
  return {number(in, 0), number(in, 8), as == form::newer ? number(in, 16) : 0};
}

digest challenge_proof(std::uint64_t challenge, const shared_key& key) noexcept {
  std::array<std::byte, 8> said{};
  store_le(said.data(), challenge);
  return md5(said, key);
}

}  // namespace ferry::codec::snet
