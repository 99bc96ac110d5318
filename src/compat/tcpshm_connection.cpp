#include <ferry/compat/tcpshm.hpp>

#include "compat/tcpshm_link.hpp"

namespace ferry::compat::tcpshm {

connection::connection(std::unique_ptr<link> made) noexcept : link_(std::move(made)) {}
connection::~connection() = default;

message_header* connection::alloc(std::size_t size) noexcept { return link_->alloc(size); }
std::error_code connection::push() noexcept { return link_->push(false); }
std::error_code connection::push_more() noexcept { return link_->push(true); }
const message* connection::front() noexcept { return link_->front(); }
void connection::pop() noexcept { link_->pop(); }
void connection::close() noexcept { link_->close(); }
bool connection::is_closed() const noexcept { return link_->is_closed(); }
const std::string& connection::local_name() const noexcept { return link_->how().local_name; }
const std::string& connection::remote_name() const noexcept { return link_->remote_name(); }
bool connection::uses_shm() const noexcept { return link_->uses_shm(); }
connection::progress connection::where() const noexcept { return link_->where(); }
std::size_t connection::unacknowledged_bytes() const noexcept { return link_->unacknowledged(); }
std::uint64_t connection::discarded() const noexcept { return link_->discarded(); }

}  // namespace ferry::compat::tcpshm
