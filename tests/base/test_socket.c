/* Sockets that listen, and ends that have hung up. */
#define _POSIX_C_SOURCE 200809L
#include "runtime/base/socket.h"
#include "runtime/base/thread.h"
#include "tests/check.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int connect_to(uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static int accept_one(int listening) {
    int fd = -1;
    for (int i = 0; i < 1000 && fd < 0; i++) { /* it does not wait */
        fd = accept(listening, NULL, NULL);
        if (fd < 0) {
            rr_sleep_ns(1000000);
        }
    }
    CHECK(fd >= 0);
    return fd;
}

static void test_listen(void) {
    rr_diag diag = {0};
    uint16_t port = 0, other;
    int listening = -1, second = -1;
    CHECK_OK(rr_socket_listen("127.0.0.1", &port, &listening, &diag), diag);
    CHECK(port != 0);
    other = port;
    CHECK_INT(rr_socket_listen("127.0.0.1", &other, &second, &diag), RR_E_IO);
    CHECK(strstr(diag.text, "127.0.0.1") != NULL);
    CHECK_INT(rr_socket_listen("not an address", &other, &second, &diag), RR_E_USAGE);
    rr_socket_close(listening);
}

static bool is_gone(int fd) {
    bool gone[3] = {true, true, true};
    for (int i = 0; i < 1000; i++) {
        const int sockets[3] = {fd, fd, fd};
        rr_socket_find_gone(sockets, 3, gone);
        if (gone[0]) {
            break;
        }
        rr_sleep_ns(1000000);
    }
    CHECK(gone[0] == gone[1] && gone[1] == gone[2]);
    return gone[0];
}

static void test_gone(void) {
    rr_diag diag = {0};
    uint16_t port = 0;
    int listening = -1;
    char peer[64] = "?";
    CHECK_OK(rr_socket_listen("127.0.0.1", &port, &listening, &diag), diag);
    const int client = connect_to(port), served = accept_one(listening);
    rr_socket_peer(served, peer, sizeof peer);
    CHECK_TEXT(peer, "127.0.0.1");
    rr_socket_peer(listening, peer, sizeof peer);
    CHECK_TEXT(peer, "");
    bool gone = true;
    rr_socket_find_gone(&served, 1, &gone);
    CHECK(!gone);
    CHECK_INT(write(client, "unread", 6), 6); /* does not hide that it closes */
    close(client);
    CHECK(is_gone(served));
    close(served);
    rr_socket_close(listening);
}

int main(void) {
    test_listen();
    test_gone();
    return CHECK_END();
}
