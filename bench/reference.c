/* The reference: a bare loop that writes each event to each stream, one write per delivery.
 * usage: reference STREAMS SECONDS EVENTS_PER_SECOND EVENT_BYTES; prints its port, takes the streams, writes,
 * prints the number of deliveries. Nothing of HTTP beyond a canned head.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int streams = atoi(argv[1]), bytes = atoi(argv[4]);
    double seconds = atof(argv[2]), rate = atof(argv[3]);
    int *fds = calloc((size_t)streams, sizeof *fds);
    char *event = malloc((size_t)bytes), request[4096];
    if (fds == NULL || event == NULL) return 1;
    memset(event, 'x', (size_t)bytes);
    const char head[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (int i = 0; i < streams; i++) {
        fds[i] = accept(listener, NULL, NULL);
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (read(fds[i], request, sizeof request) < 0) return 1;
        if (write(fds[i], head, sizeof head - 1) < 0) return 1;
    }
    if (getchar() == EOF) return 1;
    long deliveries = 0;
    double start = now_s();
    for (int n = 0; n < (int)(seconds * rate); n++) {
        double wait_s = start + n / rate - now_s();
        if (wait_s > 0) usleep((useconds_t)(wait_s * 1e6));
        for (int i = 0; i < streams; i++)
            if (send(fds[i], event, (size_t)bytes, MSG_NOSIGNAL) == bytes) deliveries++;
    }
    printf("%ld\n", deliveries);
    fflush(stdout);
    while (getchar() != EOF) {}
    return 0;
}
