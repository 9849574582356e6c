# The emulator has no cache cluster, and the AWS provider fails on the empty cache status that the emulator returns. All
# other settings of the cached routes are as on AWS. conftest.py puts this file beside terraform/modules/api/stage.tf.
resource "aws_api_gateway_stage" "this" {
  cache_cluster_enabled = false
  cache_cluster_size    = null
}
