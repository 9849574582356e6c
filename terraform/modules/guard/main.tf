# Refuses to be destroyed while something is protected. Call this module with depends_on for everything that it guards.
# Terraform destroys a resource before what the resource depends on, so it destroys the guard first, and nothing else if
# the guard refuses.
#
# The command runs in the shell of Linux and macOS and in cmd of Windows. `input` is what the last apply wrote, so
# removing the protection takes an apply of its own. Terraform doesn't run the command if the block that calls the
# module is gone from the configuration. What then refuses is the protection of each store.
resource "terraform_data" "this" {
  input = { protected = var.protected, message = var.message }

  provisioner "local-exec" {
    when    = destroy
    command = self.input.protected ? "echo '${self.input.message}' && exit 1" : "exit 0"
  }
}
