/* Both ends of a connection in one process, as a program of C has them. */
#include <ferry/socket.h>

#include <stdio.h>
#include <string.h>

int main(void) {
  char buffer[16];
  const int on = 1;
  struct ferry_address at;
  int listening = ferry_socket(FERRY_AF_INET, FERRY_SOCK_MESSAGE, FERRY_TCP);
  int client = ferry_socket(FERRY_AF_INET, FERRY_SOCK_MESSAGE, FERRY_TCP);
  int server;
  memset(&at, 0, sizeof at);
  at.family = FERRY_AF_INET;
  strcpy(at.host, "127.0.0.1");
  if (ferry_bind(listening, &at) < 0 || ferry_listen(listening, 1) < 0 || ferry_getsockname(listening, &at) < 0 ||
      ferry_setsockopt(client, FERRY_SOL_SOCKET, FERRY_SO_NONBLOCK, &on, sizeof on) < 0) {
    fprintf(stderr, "%s\n", ferry_error_text());
    return 1;
  }
  if (ferry_connect(client, &at) < 0 && ferry_errno != FERRY_EINPROGRESS) return 2;
  server = ferry_accept(listening, NULL);
  if (server < 0) return 3;
  if (ferry_send(server, "hello", 5, 0) != 5) return 4;
  if (ferry_setopt(client, "nonblocking", "off") < 0) return 5;
  if (ferry_recv(client, buffer, sizeof buffer, 0) != 5 || memcmp(buffer, "hello", 5) != 0) return 6;
  if (ferry_close_all() != 3 || ferry_close(client) != -1 || ferry_errno != FERRY_EBADF) return 7;
  return 0;
}
