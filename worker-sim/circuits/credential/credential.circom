pragma circom 2.1.6;

// "This issuer signed a credential whose value is at least the threshold, and its holder had this proved."
//
// The issuer signs Poseidon4(1, holder, attribute, value) with EdDSA-Poseidon over Baby Jubjub; holder = Poseidon1(secret)
// ties the credential to whoever knows the secret, attribute says what the value is of. The nullifier is one for each
// secret and scope: the same holder is seen twice in a scope, and is nobody across scopes.
//
// Public signals, in this order: nullifier, issuer x, issuer y, attribute, threshold, scope, context. Whoever verifies must
// check that the issuer is a point of the curve's subgroup: it is public, so that the circuit need not.

include "circomlib/circuits/babyjub.circom";
include "circomlib/circuits/bitify.circom";
include "circomlib/circuits/eddsaposeidon.circom";
include "circomlib/circuits/poseidon.circom";

template CredentialTask(bits) {
    signal input secret;
    signal input value;
    signal input r8[2];
    signal input s;
    signal input issuer[2];
    signal input attribute;
    signal input threshold;
    signal input scope;
    signal input context;

    signal output nullifier;

    component holder = Poseidon(1);
    holder.inputs[0] <== secret;

    // The leading 1 is this statement's version: a signature for another purpose must never be taken for a credential.
    component credential = Poseidon(4);
    credential.inputs[0] <== 1;
    credential.inputs[1] <== holder.out;
    credential.inputs[2] <== attribute;
    credential.inputs[3] <== value;

    // The signature's own verifier leaves this to its caller.
    component onCurve = BabyCheck();
    onCurve.x <== r8[0];
    onCurve.y <== r8[1];

    component signed = EdDSAPoseidonVerifier();
    signed.enabled <== 1;
    signed.Ax <== issuer[0];
    signed.Ay <== issuer[1];
    signed.R8x <== r8[0];
    signed.R8y <== r8[1];
    signed.S <== s;
    signed.M <== credential.out;

    // Numbers of 64 bits: no difference wraps around the field's order.
    component ofValue = Num2Bits(bits);
    ofValue.in <== value;
    component ofThreshold = Num2Bits(bits);
    ofThreshold.in <== threshold;
    component enough = Num2Bits(bits);
    enough.in <== value - threshold;

    component nullifying = Poseidon(2);
    nullifying.inputs[0] <== scope;
    nullifying.inputs[1] <== secret;
    nullifier <== nullifying.out;

    // A public signal that no constraint mentions could be exchanged for another.
    signal contextSquare <== context * context;
}

component main {public [issuer, attribute, threshold, scope, context]} = CredentialTask(64);
