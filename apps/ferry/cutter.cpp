#include "apps/ferry/cutter.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "channel/option_value.hpp"

namespace ferry::app {

std::optional<split_rule> split_rule::parse(std::string_view text) {
  if (text == "lines") return split_rule{kind::lines, 0};
  if (text == "whole") return split_rule{kind::whole, 0};
  const auto size = parse_whole(option_unit::size, text);
  if (!size || *size == 0 || *size > (std::uint64_t{1} << 30)) return {};
  return split_rule{kind::chunks, static_cast<std::size_t>(*size)};
}

cutter::cutter(split_rule rule, std::size_t max_message) : rule_(rule), max_message_(max_message) {}

mutable_bytes cutter::room() {
  if (begin_ != 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < k_block / 2) buffer_.resize(std::max(buffer_.size() * 2, k_block));
  return {buffer_.data() + end_, buffer_.size() - end_};
}

std::optional<bytes> cutter::take(std::size_t size, std::size_t skip) noexcept {
  const bytes message = pending().first(size);
  begin_ += size + skip;
  skipped_ = skip;
  searched_ = 0;
  messages_ += 1;
  return message;
}

error cutter::too_large() const {
  return {errc::message_too_large, "message " + std::to_string(messages_ + 1) + " is larger than max_message (" +
                                       std::to_string(max_message_) +
                                       " bytes); cut it with --split BYTES, or raise -o max_message on both sides"};
}

result<std::optional<bytes>> cutter::next() {
  if (done_) return std::optional<bytes>();
  const bytes all = pending();
  switch (rule_.how) {
    case split_rule::kind::lines: {
      const void* const found =
          all.size() == searched_ ? nullptr : std::memchr(all.data() + searched_, '\n', all.size() - searched_);
      const auto size =
          found != nullptr ? static_cast<std::size_t>(static_cast<const std::byte*>(found) - all.data()) : all.size();
      if (size > max_message_) return too_large();
      if (found != nullptr) return take(size, 1);
      searched_ = all.size();
      break;
    }
    case split_rule::kind::whole:
      if (all.size() > max_message_) return too_large();
      break;
    case split_rule::kind::chunks:
      if (all.size() >= rule_.chunk) return take(rule_.chunk, 0);
      break;
  }
  return finished_ ? last() : std::optional<bytes>();
}

result<std::optional<bytes>> cutter::last() {
  done_ = true;
  const auto left = pending().size();
  if (left == 0 && rule_.how != split_rule::kind::whole) return std::optional<bytes>();
  return take(left, 0);
}

}  // namespace ferry::app
