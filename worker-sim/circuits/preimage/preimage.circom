pragma circom 2.1.6;

// "Somebody who knows two numbers with this Poseidon hash had this proved, for this task."
//
// Public signals, in this order: digest, context.

include "circomlib/circuits/poseidon.circom";

template PreimageTask() {
    signal input preimage[2];
    signal input context;

    signal output digest;

    component hash = Poseidon(2);
    hash.inputs[0] <== preimage[0];
    hash.inputs[1] <== preimage[1];
    digest <== hash.out;

    // A public signal that no constraint mentions could be exchanged for another.
    signal contextSquare <== context * context;
}

component main {public [context]} = PreimageTask();
