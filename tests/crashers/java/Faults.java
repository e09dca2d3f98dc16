/**
 * A program for a Java virtual machine, which answers the page faults of compiled code itself: of a null reference it makes
 * a NullPointerException.
 *
 * <p>{@code recover COUNT}: catches that many of them and ends with code 7. {@code die}: sends itself a SIGSEGV that the
 * machine has no use for.
 */
public class Faults {
    static class Node {
        int value;
        Node next;
    }

    static int read(Node node) {
        return node.next.value;
    }

    static void recover(int count) {
        Node whole = new Node();
        whole.next = new Node();
        whole.next.value = 1;
        Node broken = new Node();
        int caught = 0;
        long sum = 0;
        // Warm enough to be compiled before the first fault.
        for (int i = 0; i < 100_000; i++) {
            sum += read(whole);
        }
        for (int i = 0; i < count; i++) {
            try {
                sum += read(broken);
            } catch (NullPointerException expected) {
                caught++;
            }
        }
        System.out.println("caught " + caught + ", sum " + sum);
        System.exit(7);
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("recover")) {
            recover(Integer.parseInt(arguments[1]));
        }
        new ProcessBuilder("kill", "-SEGV", Long.toString(ProcessHandle.current().pid())).start().waitFor();
        Thread.sleep(Long.MAX_VALUE);
    }
}
